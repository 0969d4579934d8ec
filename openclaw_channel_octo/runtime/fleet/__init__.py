"""The running bots: started, changed and ended while others go on; what a changed configuration asks for."""

"""Agent hosts: the contract (`base`) and the hosts this package brings."""

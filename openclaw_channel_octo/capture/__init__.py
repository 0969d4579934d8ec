"""The `.wkcap` format: recordings of real traffic that tests replay."""

"""PURE. The WuKongIM binary protocol: framing, packets, encryption, both ends of a connection, no I/O."""

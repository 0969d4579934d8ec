"""The running parts: sockets, lanes, turns and replies, tied together by `OctoChannel`."""

"""The wire: frames and JSON-RPC messages. Bytes in, values out; does no I/O."""

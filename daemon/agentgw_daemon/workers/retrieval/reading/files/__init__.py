"""Files as they may be read: opened, unpacked, within bounds."""

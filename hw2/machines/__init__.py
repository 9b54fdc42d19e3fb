"""The machines and devices that train."""

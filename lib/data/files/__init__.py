"""Bytes of input files, wherever they lie: on disks, or on XRootD and HTTP servers."""

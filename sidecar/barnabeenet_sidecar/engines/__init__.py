"""Speech engines, one file each, behind the Protocols of `base`."""

"""The command line ``pds``: one file for each noun. Nobody imports it."""

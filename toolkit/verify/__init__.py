"""The check of a host: what was put in force, held against what is found there.

``expected`` tells what the applied revision put in force, ``facts`` what is found on the host, the ``of_…``
modules make checks of the two, and ``run`` has pytest run them, here or over SSH.
"""

"""Lifetime of a daemon on this machine: started, waited for, ended, replaced by a newer one."""

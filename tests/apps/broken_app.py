raise LookupError("this module cannot be imported")

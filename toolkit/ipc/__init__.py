"""Talk with a running bot over its control socket."""

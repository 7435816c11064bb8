"""The fleet: what `fleet.yaml` and `bots.d/*.yaml` say, loaded and checked."""

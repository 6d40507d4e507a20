"""Property tests of this folder have no time limit an example: machines differ, results do not."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

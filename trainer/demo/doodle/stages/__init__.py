"""The trainings that make the domain, each on the frozen ones before it."""

"""Calling a service: its pace, its limits, its retries, and what may be spent on it."""

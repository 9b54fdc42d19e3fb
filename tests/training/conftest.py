"""Real data for the trainings."""

from tests.packages import stamps

__all__ = ["stamps"]

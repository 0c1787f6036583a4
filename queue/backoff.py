"""How long a case waits before it is tried again."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Backoff:
    """Exponential, with jitter, so that cases that failed together do not come back together."""

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(minutes=15)
    limit: int = 3  #: failures after which a person is asked instead

    def delay(self, failures: int, chance: float) -> timedelta:
        """The wait after that many failures (from 1 on); `chance`, in [0, 1), spreads it over its upper half."""
        whole: timedelta = min(self.first * 3 ** min(failures - 1, 20), self.longest)
        return whole * (0.5 + chance / 2)

    def is_spent(self, failures: int) -> bool:
        """Whether that many failures are more than the case is to be given."""
        return failures > self.limit

"""Whether a message moved a meeting, so that its organizer is told.

In:  what the pages showed before and after. Out: the occurrence as it was and as it is now, or nothing. Pure.
Fails: never.
"""

from notes2conf_milter.core.meeting import Occurrence, Page
from notes2conf_milter.core.work import LISTED_TIMES


def moved(before: Page, after: Page, now: int) -> tuple[Occurrence, Occurrence] | tuple[()]:
    """Return the first coming occurrence that does not take place as it was, and the first that is new in its stead.

    Nothing when one went without another one coming (a cancelled date, a shorter series), or came without one going. now:
    seconds since 1970 UTC.
    """
    old = {(one.start, one.end): one for one in before.times if one.end > now}
    new = {(one.start, one.end): one for one in after.times if one.end > now}
    gone, come = [old[at] for at in sorted(old.keys() - new)], [new[at] for at in sorted(new.keys() - old)]
    if (
        len(before.times) >= LISTED_TIMES
    ):  # of a long series the next ones are listed: as time goes on the list does, too
        come = [one for one in come if one.start <= before.times[-1].start]
    return (gone[0], come[0]) if gone and come else ()

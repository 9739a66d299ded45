"""What several people and workers do in the same moment."""

import threading
from collections.abc import Callable

from django.db import DatabaseError, connections


def at_once(*works: Callable[[], object]) -> list[DatabaseError]:
    """Do them in a thread each; what the database said to that."""
    raised: list[DatabaseError] = []
    begin = threading.Barrier(len(works))

    def do(work: Callable[[], object]) -> None:
        begin.wait()
        try:
            work()
        except DatabaseError as error:
            raised.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised

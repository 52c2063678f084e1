"""Glance's application, whose transactions on SQLite wait for each other.

SQLite refuses a transaction that reads, and writes when another has written meanwhile: "database is locked", and Glance answers
500. One that begins at once with the right to write waits for its turn. Other databases do so row by row.
"""

import sqlalchemy
from glance.wsgi.api import application  # noqa: F401, for uWSGI


@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "before_cursor_execute", retval=True)
def begin_at_once(_connection, _cursor, statement, parameters, _context, _many):
    return ("BEGIN IMMEDIATE" if statement == "BEGIN" else statement), parameters

"""The test project on PostgreSQL: ``pytest --ds=tests.settings_postgres``."""

from tests.settings import *  # noqa: F403
from tests.settings import database

DTB_DB = "postgres"
DATABASES = {"default": database(DTB_DB)}

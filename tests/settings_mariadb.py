"""The test project on MariaDB: ``pytest --ds=tests.settings_mariadb``."""

from tests.settings import *  # noqa: F403
from tests.settings import database

DTB_DB = "mariadb"
DATABASES = {"default": database(DTB_DB)}

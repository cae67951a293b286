"""Airflow's configuration for one machine, as environment variables.

Nothing here depends on an airflow.cfg that a person may have edited or an older release written;
that file only keeps the secrets which `airflow db migrate` draws.
"""

from include.settings import PROJECT, Settings

POOL = "training"


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that every Airflow component of this stack runs with."""
    home = settings.home / "airflow"
    options = {
        **_core(settings),
        **_timing(),
        "api__host": settings.host,
        "api__port": str(settings.airflow_port),
        "api__base_url": settings.airflow_url,
        "api__workers": "1",
        # Writers wait for one another; the default gives up after 5 s, too soon on a busy machine.
        "database__sql_alchemy_conn": f"sqlite:///{home}/airflow.db?timeout=60",
        "logging__base_log_folder": str(home / "logs"),
        "logging__dag_processor_child_process_log_directory": str(home / "logs" / "dag_processor"),
        "logging__colored_console_log": "False",
    }
    variables = {f"AIRFLOW__{name.upper()}": value for name, value in options.items()}
    return {"AIRFLOW_HOME": str(home), **variables}


def _core(settings: Settings) -> dict[str, str]:
    return {
        "core__dags_folder": str(PROJECT / "dags"),
        "core__plugins_folder": str(PROJECT / "plugins"),
        "core__load_examples": "False",
        "core__executor": "LocalExecutor",
        # Slots are cheap and a finished task holds its own for a heartbeat: the pool bounds CPU.
        "core__parallelism": "8",
        "core__dags_are_paused_at_creation": "False",
        "core__execution_api_server_url": f"{settings.airflow_url}/execution/",
        # Everyone who reaches loopback is an admin; preflight refuses any other address.
        "core__simple_auth_manager_all_admins": "True",
        # The default asks DNS for the machine's full name, seconds where there is no answer.
        "core__hostname_callable": "socket.gethostname",
        # Forks share the libraries that the scheduler has preloaded; Python 3.14 would not fork.
        "core__mp_start_method": "fork",
    }


def _timing() -> dict[str, str]:
    return {
        "workers__min_heartbeat_interval": "1",
        "scheduler__scheduler_idle_sleep_time": "0.5",
        # What a killed scheduler left running is adopted after seconds, not after five minutes.
        "scheduler__orphaned_tasks_check_interval": "30",
        "scheduler__task_instance_heartbeat_timeout": "60",
        "dag_processor__refresh_interval": "10",
        "dag_processor__min_file_process_interval": "20",
        "dag_processor__parsing_processes": "1",
    }

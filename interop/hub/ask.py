"""Answers one question about the cache with huggingface_hub: `ask.py <function> <arguments as JSON>`. Prints JSON."""

import json
import sys
from typing import Any

import huggingface_hub as hub
from huggingface_hub import constants
from huggingface_hub.file_download import _CACHED_NO_EXIST


def version() -> str:
    return hub.__version__


def download(repo: str, revision: str, names: list[str], offline: bool) -> list[str]:
    """The paths of files, which are downloaded unless `offline`."""
    return [hub.hf_hub_download(repo, name, revision=revision, local_files_only=offline) for name in names]


def missing(repo: str, revision: str, name: str) -> str:
    """Asks for a file that the hub does not have."""
    try:
        hub.hf_hub_download(repo, name, revision=revision)
    except Exception as error:
        return type(error).__name__
    return "found"


def snapshot(repo: str, revision: str, patterns: list[str] | None, offline: bool) -> str:
    return hub.snapshot_download(repo, revision=revision, allow_patterns=patterns, local_files_only=offline)


def cached(repo: str, revision: str, names: list[str]) -> list[str | None]:
    """The paths of cached files: "absent" for those known not to exist, null for those not known."""
    found = [hub.try_to_load_from_cache(repo, name, revision=revision) for name in names]
    return ["absent" if path is _CACHED_NO_EXIST else path for path in found]


def scan() -> dict[str, Any]:
    """What the scan of the cache finds."""
    info = hub.scan_cache_dir()
    return {
        "warnings": [str(warning) for warning in info.warnings],
        "repos": [repo.repo_id for repo in info.repos],
        "refs": sorted(ref for repo in info.repos for ref in repo.refs),
    }


def settings() -> dict[str, Any]:
    return {
        "cache": constants.HF_HUB_CACHE,
        "token": hub.get_token(),
        "endpoint": constants.ENDPOINT,
        "offline": constants.HF_HUB_OFFLINE,
    }


functions = [version, download, missing, snapshot, cached, scan, settings]
function = next(function for function in functions if function.__name__ == sys.argv[1])
print(json.dumps(function(*json.loads(sys.argv[2]))))

# What huggingface_hub makes of a cache and of variables: the folder of a snapshot, found or downloaded, or the settings.
import json
import os
import sys

arguments = json.loads(sys.argv[1])
os.environ.update(arguments.get("environment", {}))

from huggingface_hub import constants, get_token, scan_cache_dir, snapshot_download  # noqa: E402

if arguments["what"] == "settings":
    found = {
        "cacheFolder": constants.HF_HUB_CACHE,
        "endpoint": constants.ENDPOINT,
        "token": get_token(),
        "offline": constants.HF_HUB_OFFLINE,
    }
elif arguments["what"] == "scan":
    info = scan_cache_dir(arguments["cache"])
    repos = sorted(info.repos, key=lambda repo: repo.repo_id)
    found = {
        "warnings": [str(warning) for warning in info.warnings],
        "repos": [[repo.repo_id, sorted(repo.refs), repo.nb_files, repo.size_on_disk] for repo in repos],
    }
else:
    found = snapshot_download(arguments["id"], cache_dir=arguments["cache"], **arguments["options"])
print(json.dumps(found))

#!/usr/bin/env bash
# Pack the files of a configuration in a job: docs/slurm.md tells the variables. DRY_RUN=1 only shows the job.
# Example: CONFIG_PATH=configs/regressor/base.yaml CACHE_DIR=data/cache TASKS=20 NUM_GPUS=0 CPUS=16 ./scan_param/submit_cache.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scan_param/find_python.sh
exec "$python" -m lib.submit cache "$@"

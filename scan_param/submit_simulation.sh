#!/usr/bin/env bash
# Simulate data as an array job, one run per task: docs/slurm.md tells the variables. DRY_RUN=1 only shows the job.
# Example: OUTPUT=data/train RUNS=100 EVENTS=100000 SEED=1 NUM_GPUS=0 CPUS=16 ./scan_param/submit_simulation.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scan_param/find_python.sh
exec "$python" -m lib.submit simulation "$@"

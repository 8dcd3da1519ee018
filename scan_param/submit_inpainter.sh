#!/usr/bin/env bash
# Check and submit the training of an inpainter: docs/slurm.md tells the variables. DRY_RUN=1 only shows the job.
# Example: CONFIG_PATH=configs/inpainter/base.yaml RUN_NAME=first PARTITION=a100 TIME=12:00:00 ./scan_param/submit_inpainter.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scan_param/find_python.sh
exec "$python" -m lib.submit inpainter "$@"

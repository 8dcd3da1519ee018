#!/usr/bin/env bash
# Submit a sweep as one array job, or run it here: docs/sweeps.md. DRY_RUN=1 only shows the job.
# Example: PARTITION=a100 ./scan_param/submit_scan.sh sweeps/energy.yaml
#          ./scan_param/submit_scan.sh sweeps/energy.yaml --local 2
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scan_param/find_python.sh
exec "$python" -m lib.sweep "$@"

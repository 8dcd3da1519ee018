# Sets "python" to the interpreter of the environment that fits this node; meant to be sourced in the project's folder.
# XEC_PYTHON names another one. A file scan_param/site.sh, if there is one, is sourced first: module load and the like.
# shellcheck shell=bash disable=SC2034
if [[ -f scan_param/site.sh ]]; then
  # shellcheck source=/dev/null
  source scan_param/site.sh
fi
python=
for candidate in "${XEC_PYTHON:-}" ".venv-$(uname -m)/bin/python" .venv/bin/python; do
  # An environment of another kind of node is there but does not start.
  if [[ -x "$candidate" ]] && "$candidate" -c '' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [[ -z "$python" ]]; then
  echo "no Python environment for $(uname -m) in $PWD. Make one on such a node: make VENV=.venv-$(uname -m) .venv-$(uname -m)/.ready" >&2
  return 2
fi

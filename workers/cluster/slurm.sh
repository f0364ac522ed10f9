#!/bin/bash
# A Ray cluster inside one Slurm job, one Ray node per Slurm node, and a search on it:
#   sbatch workers/cluster/slurm.sh --space hybrid-vit --task ./flowers --budget 8gpu-h --study flowers
# The next job goes on with what is left:   sbatch workers/cluster/slurm.sh --resume flowers
# The checkout's folder, NASPLAT_HOME and NASPLAT_STORAGE must be the same on all nodes.
#SBATCH --job-name=nasplat
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-task=1
#SBATCH --time=08:00:00
#SBATCH --signal=B:INT@120
set -euo pipefail

export RAY_USAGE_STATS_ENABLED=0
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# A port of this job's own, so that two jobs may share a node.
address="$head:$((20000 + SLURM_JOB_ID % 20000))"
resources=(--num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "${SLURM_GPUS_PER_TASK:-0}")

srun --nodes=1 --ntasks=1 -w "$head" \
    ray start --head --port="${address#*:}" --include-dashboard=false "${resources[@]}" --block &
sleep 15
others=$((SLURM_JOB_NUM_NODES - 1))
if ((others > 0)); then
    srun --nodes="$others" --ntasks="$others" --exclude="$head" \
        ray start --address="$address" "${resources[@]}" --block &
    sleep 15
fi

# Two minutes before the end of the job Slurm sends INT to this shell: running trials are
# checkpointed and the search stops as after Ctrl-C.
export RAY_ADDRESS="$address"
if [[ "${1:-}" == --resume ]]; then
    srun --overlap --nodes=1 --ntasks=1 -w "$head" nasplat resume "$2" --workers cluster &
else
    srun --overlap --nodes=1 --ntasks=1 -w "$head" nasplat search "$@" --workers cluster &
fi
search=$!
trap 'kill -INT "$search"' INT
wait "$search" || wait "$search"

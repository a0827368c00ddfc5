#!/usr/bin/env bash
# One run on several nodes, each with as many processes as it has GPUs, or CPUs a task where it was given no GPU. From
# the project's folder: sbatch --nodes 4 --gpus-per-node 8 profiles/slurm/together.sh --scale paper --model egnn
#SBATCH --job-name denoising
#SBATCH --ntasks-per-node 1
set -euo pipefail
processes=${SLURM_GPUS_ON_NODE:-${SLURM_CPUS_PER_TASK:-1}}
port=$((29500 + SLURM_JOB_ID % 1000))
srun --cpus-per-task "${SLURM_CPUS_PER_TASK:-1}" .venv/bin/torchrun --nnodes "$SLURM_NNODES" \
    --nproc_per_node "$processes" --rdzv_id "$SLURM_JOB_ID" --rdzv_backend c10d --rdzv_endpoint "$(hostname):$port" \
    -m lib run --devices "$processes" --nodes "$SLURM_NNODES" "$@"

#!/usr/bin/env bash
# Strategies, peers and predictors on every table that is there, and the report of it all.
#
#     benchmarks/tables.sh [DATA]              # into bench/; 20 seeds, two processes, within an hour
#     SEEDS=50 PROCESSES=8 benchmarks/tables.sh DATA
#
# DATA is the folder of published tables; without it only the table that ships is measured. What was run
# before with the same code is not run again.
set -euo pipefail

data=${1:-${NASPLAT_BENCH_DATA:-}}
seeds=${SEEDS:-20}
processes=${PROCESSES:-2}
nasplat=${NASPLAT:-nasplat}
quick=guided,optuna-random,optuna-tpe,optuna-tpe-multivariate,optuna-nsga2,regularised-evolution,local-search
slow=optuna-gp,bananas  # seconds for each proposal: a quarter of the seeds, up to 100 evaluations
several=bananas  # of several objectives: there Optuna GP takes minutes for each search

run() {  # TABLE EVALUATIONS BATCH OPTION...
  local table=$1 evaluations=$2 batch=$3 peers=$slow
  shift 3
  [[ "$*" != *,* ]] || peers=$several
  echo "== $table $*"
  set -- "$table" --processes "$processes" --quiet "$@"
  "$nasplat" bench run "$@" --strategy "$peers" --seeds "$(((seeds + 3) / 4))" \
    --evaluations "$((evaluations < 100 ? evaluations : 100))" > /dev/null
  "$nasplat" bench run "$@" --strategy "$quick" --seeds "$seeds" --evaluations "$evaluations" \
    --batch "$batch"
}

predictors() {  # TABLE OPTION...
  local said
  said=$("$nasplat" bench predictors "$@" --quiet)
  printf '== predictors on %s\n%s\n' "$1" "$said"
}

run digits-mini 60 5
predictors digits-mini --train 16,32,64
if [ -n "$data" ]; then
  export NASPLAT_BENCH_DATA=$data
  for table in nb201-c10 nb201-c100; do run "$table" 200 1; done
  for table in nb-macro channel-bench nb-graph-arxiv nb-graph-photo; do run "$table" 100 5; done
  run hwgpt-s 200 5 --objective perplexity,latency_ms_a100
  run hwgpt-s 200 5 --objective perplexity,energy_kwh_v100
  run nb201-c100 200 5 --objective accuracy,pixel3_latency
  for table in nb201-c10 nb201-c100; do
    echo "== $table at 12 and 200 epochs"
    "$nasplat" bench run "$table" --strategy guided,random --fidelities 12,200 --evaluations 60 \
      --seeds "$seeds" --processes "$processes" --quiet
  done
  predictors nb201-c10 --train 32,128,512 --seeds 3 &  # takes as long as all others
  longest=$!
  for table in nb-graph-arxiv accel-nb nb-bert; do predictors "$table" --train 100; done
  predictors hwgpt-s --train 100 --within embedding.dim=768
  echo "== ends of learning curves on nb-nlp"
  "$nasplat" bench curves nb-nlp --quiet
  wait "$longest"
else
  echo "published tables skipped: name their folder, make bench DATA=folder"
fi
"$nasplat" bench report bench

"""Trains a model on several devices at once; `batch_size` is for all of them together.

    python multi_gpu_train.py --flagfile=config.cfg --num_gpus=2
    python multi_gpu_train.py --flagfile=config.cfg --logical_devices=2    # a split CPU
    srun --ntasks=2 python multi_gpu_train.py --flagfile=config.cfg        # two machines

`--help` lists the flags. Called again, it goes on from the run folder's last checkpoint.
"""

from hw2 import command


def main(config):
    from hw2 import experiment  # imports TensorFlow, so only once the flags are read

    experiment.train(config, mirrored=True)


if __name__ == "__main__":
    command.run(main, machines=True)

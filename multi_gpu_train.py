"""Trains a model on several devices at once; `batch_size` is for all of them together.

    python multi_gpu_train.py --flagfile=config.cfg --num_gpus=2
    python multi_gpu_train.py --flagfile=config.cfg --logical_devices=2    # a split CPU
    srun --ntasks=2 python multi_gpu_train.py --flagfile=config.cfg        # two machines

`--help` lists the flags. Called again, it goes on from the run folder's last checkpoint.
"""

from hw2.commands import launch


def main(config):
    from hw2.jobs import train  # imports TensorFlow, so only once the flags are read

    train.train(config, mirrored=True)


if __name__ == "__main__":
    launch.run(main, machines=True)

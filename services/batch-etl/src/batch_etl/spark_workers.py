"""What Spark forks its Python workers from (`spark.python.daemon.module`): their imports, made once."""

from pyspark.daemon import manager

from batch_etl import source, writer

__all__ = ["source", "writer"]

if __name__ == "__main__":
    manager()

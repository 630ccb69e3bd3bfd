"""What Spark forks its Python workers from (`spark.python.daemon.module`): their imports, made once."""

from pyspark.daemon import manager

from stream_etl import source, staging

__all__ = ["source", "staging"]

if __name__ == "__main__":
    manager()

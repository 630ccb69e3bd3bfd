from pin_schema.cleaning.flow import clean, newest, split

__all__ = ["clean", "newest", "split"]

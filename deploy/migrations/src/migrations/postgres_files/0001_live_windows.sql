-- The live windows and what stream-etl writes beside them, in one transaction with the ledger's row.

CREATE TABLE pin_windows (
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    category text NOT NULL,
    pins bigint NOT NULL,
    posters bigint NOT NULL,
    images bigint NOT NULL,
    videos bigint NOT NULL,
    max_follower_count bigint,
    PRIMARY KEY (window_start, category)
);

CREATE TABLE poster_sessions (
    poster_name text NOT NULL,
    session_start timestamptz NOT NULL,
    session_end timestamptz NOT NULL,
    pins bigint NOT NULL,
    PRIMARY KEY (poster_name, session_start)
);

CREATE TABLE pins (
    unique_id uuid PRIMARY KEY,
    idx bigint NOT NULL,
    title text,
    poster_name text,
    category text,
    follower_count bigint,
    description text,
    image_src text NOT NULL,
    is_image_or_video text,
    tag_list text[],
    downloaded boolean,
    save_location text,
    event_time timestamptz NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL
);

CREATE TABLE rejected_pins (
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    unique_id uuid,
    reason text NOT NULL,
    raw text NOT NULL,
    event_time timestamptz NOT NULL,
    PRIMARY KEY (source_partition, source_offset)
);

CREATE TABLE late_pins (
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    window_start timestamptz NOT NULL,
    category text NOT NULL,
    unique_id uuid NOT NULL,
    event_time timestamptz NOT NULL,
    PRIMARY KEY (source_partition, source_offset)
);

-- A batch is known by the query's id, never by its name: a new checkpoint restarts at batch 0.
CREATE TABLE stream_batches (
    query_id uuid NOT NULL,
    batch_id bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now(),
    rows bigint NOT NULL,
    PRIMARY KEY (query_id, batch_id)
);

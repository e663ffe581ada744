"""Writes the Parquet files that the tests of data sets read: python make_parquet.py test/fixtures/parquet"""
import sys, pyarrow as pa, pyarrow.parquet as pq
out = sys.argv[1]
rows = [{"messages": [{"role": "user", "content": f"question {i} é🙂"}, {"role": "assistant", "content": f"answer {i}\n"}],
         "id": 9007199254740993 + i, "score": i / 3, "raw": b"\xff\xfe"} for i in range(50)]
table = pa.Table.from_pylist(rows)
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(table, f"{out}/messages-{codec}.parquet", compression=codec, row_group_size=20)
pq.write_table(pa.table({"question": ["a", None], "n": pa.array([2**60 + 1, 3], pa.int64()), "x": [1.0, 1e-7], "flag": [True, None]}), f"{out}/plain.parquet")
bad = pa.table({"text": pa.array([b"fine", b"caf\xe9"], pa.binary())})
pq.write_table(bad, f"{out}/latin1.parquet")
prefs = [{"prompt": "p", "chosen": [{"content": "p", "role": "user"}, {"content": "yes", "role": "assistant"}],
          "rejected": [{"content": "p", "role": "user"}, {"content": f"no {i}", "role": "assistant"}]} for i in range(3)]
pq.write_table(pa.Table.from_pylist(prefs), f"{out}/preference.parquet")

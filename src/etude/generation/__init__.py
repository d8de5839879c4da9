"""New demonstrations from old ones: annotated, cut into object-centred segments, put together anew."""

"""LeRobot datasets: read, written, checked, edited, and mixed to train on. Where is what:

what a dataset holds     spec (features), statistics, summary (in plain values)
where it is              finding (a folder, or on the Hub), metadata (opened: v3, or v2.1 by way of v21)
on disk                  layout (files and rows), rows, parquet, video, remux (videos copied packet by packet)
to read                  episode (numbers and images of one), reading (one whole, to be written again)
to write                 recording (frames to an episode), encoding (to files), writer (episodes to a dataset, safely)
to train on              caching (decoded frames as arrays), mapping (features renamed), mixture (weighted windows)
to make others of it     editing (delete, merge, split, trim, cut), hdf5 (import and export), groot (export)
to put in order          checking (findings, repair), salvage (what a crash of LeRobot left)
"""

from etude.data.caching import FrameCache, default_cache_dir, statistics
from etude.data.encoding import EncodedEpisode, encode
from etude.data.episode import read_images, read_numbers, require_episode
from etude.data.finding import find_dataset
from etude.data.mapping import FeatureMapping, remap, require_equal_features
from etude.data.metadata import DatasetMeta, EpisodeRecord
from etude.data.mixture import Mixture, MixtureSource, WindowBatch, split_episodes
from etude.data.reading import left_out, read_encoded, read_episode, spec_of
from etude.data.recording import EpisodeRecorder, RecordedEpisode
from etude.data.spec import ACTION, STATE, DatasetSpec, Feature
from etude.data.statistics import FeatureStatistics
from etude.data.writer import DatasetWriter, recover

__all__ = [
    "ACTION",
    "STATE",
    "DatasetMeta",
    "DatasetSpec",
    "DatasetWriter",
    "EncodedEpisode",
    "EpisodeRecord",
    "EpisodeRecorder",
    "Feature",
    "FeatureMapping",
    "FeatureStatistics",
    "FrameCache",
    "Mixture",
    "MixtureSource",
    "RecordedEpisode",
    "WindowBatch",
    "default_cache_dir",
    "encode",
    "find_dataset",
    "left_out",
    "read_encoded",
    "read_episode",
    "read_images",
    "read_numbers",
    "recover",
    "remap",
    "require_episode",
    "require_equal_features",
    "spec_of",
    "split_episodes",
    "statistics",
]

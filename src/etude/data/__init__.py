"""LeRobot datasets: recording, the crash-safe writer, decoded-frame caches, and mixtures to train on."""

from etude.data.cache import FrameCache, default_cache_dir, statistics
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

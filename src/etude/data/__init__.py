"""LeRobot datasets: recording, the crash-safe writer, decoded-frame caches, and mixtures to train on."""

from etude.data.cache import FrameCache, default_cache_dir, statistics
from etude.data.encoding import EncodedEpisode, encode
from etude.data.metadata import DatasetMeta, EpisodeRecord
from etude.data.mixture import Mixture, MixtureSource, WindowBatch, split_episodes
from etude.data.recording import EpisodeRecorder, RecordedEpisode
from etude.data.spec import DatasetSpec, Feature, require_equal_features
from etude.data.statistics import FeatureStatistics
from etude.data.writer import DatasetWriter, recover

__all__ = [
    "DatasetMeta",
    "DatasetSpec",
    "DatasetWriter",
    "EncodedEpisode",
    "EpisodeRecord",
    "EpisodeRecorder",
    "Feature",
    "FeatureStatistics",
    "FrameCache",
    "Mixture",
    "MixtureSource",
    "RecordedEpisode",
    "WindowBatch",
    "default_cache_dir",
    "encode",
    "recover",
    "require_equal_features",
    "split_episodes",
    "statistics",
]

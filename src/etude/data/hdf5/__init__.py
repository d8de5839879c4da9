"""HDF5 in and out: robomimic / MimicGen, Isaac Lab and ACT / ALOHA. The only importer of h5py."""

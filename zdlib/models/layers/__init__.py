"""Building blocks that several networks share: attention, the DPT decoder, the U-Net, work in bands of rows."""

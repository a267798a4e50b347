"""Training on the tiny model. Threads that spin while another program has the core would make these
tests slow.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

"""The whole matrix, as a grid."""

import sys

from .run import main

sys.exit(main())

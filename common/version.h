/* version.h: what both programs call themselves. */
#ifndef BACKFILLD_VERSION_H
#define BACKFILLD_VERSION_H

#define BACKFILLD_VERSION "0.1.0"

#endif
